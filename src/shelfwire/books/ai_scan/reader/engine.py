"""The text detector and the text recogniser: RapidOCR with the models in its wheel; never uses the network."""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Final, NamedTuple

import cv2
import numpy as np
import rapidocr
from omegaconf import DictConfig, OmegaConf
from onnxruntime import InferenceSession, SessionOptions
from rapidocr.ch_ppocr_det import TextDetector
from rapidocr.ch_ppocr_rec import TextRecInput, TextRecognizer

from shelfwire.books.ai_scan.reader.geometry import Pixels, Quad, is_plain

LETTER_HEIGHT: Final = 48
"""Pixels: the recogniser's own height of a line. Larger crops are shrunk to it."""
_WIDEST: Final = 40 * LETTER_HEIGHT
"""Pixels: longer lines are compressed to this, to bound the cost."""
_DETECTOR: Final = "PP-OCRv6_det_small.onnx"
_RECOGNISER: Final = "PP-OCRv6_rec_small.onnx"
_PARAMETERS: Final = {
    "Global.log_level": "error",
    "Det.limit_side_len": 32,  # The caller chooses the size.
    "Det.limit_type": "min",
    "Det.box_thresh": 0.35,  # Faint text is worth a try: what cannot be read is discarded.
    "Rec.rec_batch_num": 2,  # A batch is as wide as its widest line, and saves nothing else.
    "Rec.rec_img_shape": [3, LETTER_HEIGHT, 2 * LETTER_HEIGHT],
}


class Word(NamedTuple):
    """A word of a line, and where it begins and ends as shares of the line's length, from 0 to 1."""

    text: str
    start: float
    end: float


class Recognition(NamedTuple):
    """The text of a crop, the recogniser's confidence, 0 to 1, and the words."""

    text: str
    score: float
    words: tuple[Word, ...]


class Engine:
    """Detector and recogniser, loaded once. Not thread-safe: each thread needs its own.

    Args:
        threads: how many processor threads one call may use.

    Raises:
        FileNotFoundError: the installed rapidocr came without its models.
    """

    def __init__(self, threads: int) -> None:
        config = rapidocr.RapidOCR(params=_PARAMETERS).cfg
        config.Rec.font_path = None
        # What a session does to denormal numbers, it does to all arithmetic of the thread that makes it.
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="reader")
        self._detector, self._recogniser = self._thread.submit(_loaded, config, threads).result()
        cv2.setNumThreads(threads)

    def detect(self, image: Pixels) -> list[Quad]:
        """Find text, as quadrilaterals in the image's pixels: clockwise from the upper left corner."""
        if is_plain(image):
            return []
        boxes = self._thread.submit(self._detector, image).result().boxes
        return [] if boxes is None else [np.asarray(box, np.float32) for box in boxes]

    def read(self, crops: Sequence[Pixels]) -> list[Recognition]:
        """Read each crop as one upright line."""
        if not crops:
            return []
        lines = TextRecInput(img=[_at_height(crop) for crop in crops], return_word_box=True)
        read: Any = self._thread.submit(self._recogniser, lines).result()
        return [
            Recognition(" ".join(text.split()), float(score), _words(words))
            for text, score, words in zip(read.txts, read.scores, read.word_results, strict=True)
        ]


def _words(info: Any) -> tuple[Word, ...]:
    length = max(1.0, info.line_txt_len)
    return tuple(
        Word("".join(characters), columns[0] / length, (columns[-1] + 1) / length)
        for characters, columns in zip(info.words, info.word_cols, strict=True)
    )


def _loaded(config: DictConfig, threads: int) -> tuple[TextDetector, TextRecognizer]:
    return (
        TextDetector(_with_session(config.Det, _DETECTOR, threads)),
        TextRecognizer(_with_session(config.Rec, _RECOGNISER, threads)),
    )


def _with_session(config: DictConfig, model: str, threads: int) -> Any:
    """The configuration of a detector or recogniser, with the session it shall use."""
    path = Path(rapidocr.__file__).parent / "models" / model
    if not path.is_file():
        raise FileNotFoundError(f"The installed rapidocr lacks its model {model}: install shelfwire[scan] anew")
    session = InferenceSession(str(path), sess_options=_options(threads), providers=["CPUExecutionProvider"])
    return OmegaConf.create({**config, "session": session}, flags={"allow_objects": True})


def _options(threads: int) -> SessionOptions:
    options = SessionOptions()
    options.log_severity_level = 4
    options.intra_op_num_threads = threads
    options.enable_cpu_mem_arena = False  # An arena keeps what the largest photo took.
    # Two layers of the detector compute with denormal numbers, which takes a processor most of the time of all of it.
    # The first session of a process decides this for the thread that makes it, so each session has to.
    options.add_session_config_entry("session.set_denormal_as_zero", "1")
    return options


def reading_width(width: float, height: float) -> int:
    """Pixels of the width to which a crop of this size is brought to be read; the time for it grows with them."""
    return min(_WIDEST, max(LETTER_HEIGHT // 3, round(width * LETTER_HEIGHT / height)))


def _at_height(crop: Pixels) -> Pixels:
    height, width = crop.shape[:2]
    wanted = reading_width(width, height)
    kind = cv2.INTER_AREA if height > LETTER_HEIGHT else cv2.INTER_CUBIC
    return np.asarray(cv2.resize(crop, (wanted, LETTER_HEIGHT), interpolation=kind), np.uint8)
