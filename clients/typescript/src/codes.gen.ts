// Made by generate.py from the server's schemas. Do not edit.

export const E_ATTEMPTS_EXHAUSTED = { code: "E_ATTEMPTS_EXHAUSTED", retryable: true, message: "The job kept failing and was given up", userMessage: "This job failed several times and was stopped. What it had done until then is kept." } as const;

export const E_CALLBACK_REFUSED = { code: "E_CALLBACK_REFUSED", retryable: false, message: "The server may not call this address when the job ends", userMessage: "This service may not call that address when the job ends. Leave it out." } as const;

export const E_CSV_NO_BOOKS = { code: "E_CSV_NO_BOOKS", retryable: false, message: "The file holds no rows with books", userMessage: "There are no books in this file. Check that it is the right one." } as const;

export const E_CSV_UNREADABLE = { code: "E_CSV_UNREADABLE", retryable: false, message: "The file could not be read as CSV", userMessage: "This file could not be read as a list of books. Export it as CSV and try again." } as const;

export const E_DUPLICATE = { code: "E_DUPLICATE", retryable: false, message: "The same book stands earlier in the file", userMessage: "This book is in the file more than once. It was imported once." } as const;

export const E_ENRICHMENT_FAILED = { code: "E_ENRICHMENT_FAILED", retryable: true, message: "No provider knows the book", userMessage: "Nothing was found for this book. Check its title, author and ISBN, or try again later." } as const;

export const E_FILE_TOO_LARGE = { code: "E_FILE_TOO_LARGE", retryable: false, message: "The upload is larger than allowed", userMessage: "This file is too large. Split it into smaller files and send them one by one." } as const;

export const E_FORBIDDEN = { code: "E_FORBIDDEN", retryable: false, message: "The token lacks the scope that this needs", userMessage: "You may look at this job but not do this." } as const;

export const E_GEMINI_BAD_OUTPUT = { code: "E_GEMINI_BAD_OUTPUT", retryable: true, message: "Gemini's answer is cut off, or not of the form asked for", userMessage: "The book recognition gave an answer that makes no sense. Please try again." } as const;

export const E_GEMINI_QUOTA_SPENT = { code: "E_GEMINI_QUOTA_SPENT", retryable: true, message: "The quota for Gemini is used up for today", userMessage: "The book recognition has done all it may for today. Please try again tomorrow." } as const;

export const E_GEMINI_RATE_LIMITED = { code: "E_GEMINI_RATE_LIMITED", retryable: true, message: "Gemini takes no more requests for now", userMessage: "The book recognition is very busy. Please try again in a few minutes." } as const;

export const E_GEMINI_REJECTED = { code: "E_GEMINI_REJECTED", retryable: false, message: "Gemini refused the request: its key, its form or its content", userMessage: "The book recognition refused this. Try another photo or file, or tell the operator." } as const;

export const E_GEMINI_TIMEOUT = { code: "E_GEMINI_TIMEOUT", retryable: true, message: "Gemini did not answer in time", userMessage: "The book recognition took too long to answer. Please try again in a moment." } as const;

export const E_GEMINI_UNAVAILABLE = { code: "E_GEMINI_UNAVAILABLE", retryable: true, message: "Gemini cannot be reached, or answers with an error of its own", userMessage: "The book recognition cannot be reached. Please try again in a moment." } as const;

export const E_IDEMPOTENCY_MISMATCH = { code: "E_IDEMPOTENCY_MISMATCH", retryable: false, message: "The Idempotency-Key was used before, with other input", userMessage: "This was sent before with other content. Start it again from the beginning." } as const;

export const E_IMAGE_UNREADABLE = { code: "E_IMAGE_UNREADABLE", retryable: false, message: "The photo could not be read as an image", userMessage: "This photo could not be opened. Take it again, or send it as JPEG, PNG, WebP or HEIC." } as const;

export const E_INTERNAL = { code: "E_INTERNAL", retryable: true, message: "An error of the server's own", userMessage: "Something went wrong on our side. Please try again." } as const;

export const E_INVALID_REQUEST = { code: "E_INVALID_REQUEST", retryable: false, message: "The request is not valid", userMessage: "Something is missing from the request, or not in the expected form." } as const;

export const E_ITEM_INVALID = { code: "E_ITEM_INVALID", retryable: false, message: "The result of the item cannot be kept as JSON", userMessage: "The result for this item is not in a form that can be kept." } as const;

export const E_ITEM_TOO_LARGE = { code: "E_ITEM_TOO_LARGE", retryable: false, message: "The result of the item is too large to be kept", userMessage: "The result for this item is too large to be kept." } as const;

export const E_ITEM_UNKNOWN = { code: "E_ITEM_UNKNOWN", retryable: false, message: "The report is about an item that the job does not have", userMessage: "This job does not have as many items as its worker says. Tell whoever runs the worker." } as const;

export const E_JOB_CANCELED = { code: "E_JOB_CANCELED", retryable: true, message: "The job was canceled on request", userMessage: "You canceled this job. What it had done until then is kept." } as const;

export const E_JOB_EXISTS = { code: "E_JOB_EXISTS", retryable: false, message: "A job with this id exists", userMessage: "This job has been started already." } as const;

export const E_JOB_STATE = { code: "E_JOB_STATE", retryable: false, message: "The job's state does not allow this", userMessage: "This is not possible in the job's present state." } as const;

export const E_LEASE_LOST = { code: "E_LEASE_LOST", retryable: false, message: "The attempt does not hold the job any more: stop, and report nothing more", userMessage: "Somebody else goes on with this job, or it has ended." } as const;

export const E_MATCHES_CHANGED = { code: "E_MATCHES_CHANGED", retryable: true, message: "Other jobs match than were counted; nothing was done", userMessage: "The jobs have changed since they were counted. Look at them again." } as const;

export const E_MAX_RETRIES = { code: "E_MAX_RETRIES", retryable: true, message: "The connection could not be restored", userMessage: "The connection was lost. The job goes on; look again in a moment." } as const;

export const E_METHOD_NOT_ALLOWED = { code: "E_METHOD_NOT_ALLOWED", retryable: false, message: "The route exists, but not for this method", userMessage: "This address does not take this kind of request." } as const;

export const E_MISDIRECTED = { code: "E_MISDIRECTED", retryable: false, message: "The server does not answer for this host", userMessage: "This service does not answer at this address. Ask its operator for the right one." } as const;

export const E_NOT_FOUND = { code: "E_NOT_FOUND", retryable: false, message: "No such route", userMessage: "There is nothing at this address. Check it for a typing error." } as const;

export const E_NO_BOOKS_FOUND = { code: "E_NO_BOOKS_FOUND", retryable: true, message: "No books were found in the photo", userMessage: "No books could be read in this photo. Go closer, and hold the camera still and level." } as const;

export const E_OVERLOADED = { code: "E_OVERLOADED", retryable: true, message: "The server has reached its limit of connections", userMessage: "The service is very busy. Please try again in a moment." } as const;

export const E_PIPELINE_INTERNAL = { code: "E_PIPELINE_INTERNAL", retryable: false, message: "The server runs this pipeline itself", userMessage: "This kind of job is done by the service itself." } as const;

export const E_PIPELINE_UNAVAILABLE = { code: "E_PIPELINE_UNAVAILABLE", retryable: false, message: "The server lacks what this pipeline needs", userMessage: "This service cannot do this yet. Its operator has to set that up first." } as const;

export const E_PROVIDER_UNAVAILABLE = { code: "E_PROVIDER_UNAVAILABLE", retryable: true, message: "No provider of book data answered", userMessage: "The book catalogues cannot be reached at the moment. Please try again later." } as const;

export const E_RATE_LIMITED = { code: "E_RATE_LIMITED", retryable: true, message: "The caller has created as many jobs as it may for now", userMessage: "That was a lot at once. Please wait a minute and try again." } as const;

export const E_REPORT_INVALID = { code: "E_REPORT_INVALID", retryable: false, message: "The report says something that cannot be", userMessage: "The worker of this job has sent something that cannot be. Tell whoever runs the worker." } as const;

export const E_REPORT_NUMBER = { code: "E_REPORT_NUMBER", retryable: false, message: "The report does not have the attempt's next number", userMessage: "The worker of this job has lost count of its reports. Tell whoever runs the worker." } as const;

export const E_ROW_INVALID = { code: "E_ROW_INVALID", retryable: false, message: "The row cannot be read as a book", userMessage: "This row could not be read as a book." } as const;

export const E_SCAN_UNAVAILABLE = { code: "E_SCAN_UNAVAILABLE", retryable: false, message: "Nothing can read photos yet: pip install 'shelfwire[scan]', or set gemini_api_key", userMessage: "This service cannot read photos yet. Its operator has to set that up first." } as const;

export const E_STORAGE_UNAVAILABLE = { code: "E_STORAGE_UNAVAILABLE", retryable: true, message: "The store cannot be written or read", userMessage: "The service cannot save your data right now. Please try again in a moment." } as const;

export const E_TOKEN_EXPIRED = { code: "E_TOKEN_EXPIRED", retryable: false, message: "Token expired", userMessage: "Your access to this job has run out. Start the job again to get new access." } as const;

export const E_UNAUTHORIZED = { code: "E_UNAUTHORIZED", retryable: false, message: "The token is missing or not valid for this job", userMessage: "You are not signed in to this job. Start it again, or use the link it came with." } as const;

export const E_UNSUPPORTED_MEDIA = { code: "E_UNSUPPORTED_MEDIA", retryable: false, message: "The request's content type is not supported", userMessage: "This kind of upload is not supported. Send the file as a form upload." } as const;

export const E_WORKER_LOST = { code: "E_WORKER_LOST", retryable: true, message: "The job's worker has not been heard of for too long, and no other has claimed the job", userMessage: "Whoever worked on this has not been heard of for too long. Please start it again." } as const;
