"""The text detector and the text recogniser: RapidOCR with the models in its wheel; never uses the network."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final, NamedTuple

import cv2
import numpy as np
import rapidocr
from rapidocr.ch_ppocr_det import TextDetector
from rapidocr.ch_ppocr_rec import TextRecInput, TextRecognizer

from shelfwire.books.ai_scan.reader.geometry import Pixels, Quad, is_plain

LETTER_HEIGHT: Final = 48
"""Pixels: the recogniser's own height of a line. Larger crops are shrunk to it."""
_WIDEST: Final = 40 * LETTER_HEIGHT
"""Pixels: longer lines are compressed to this, to bound the cost."""
_MODELS: Final = {
    "Det.model_path": "PP-OCRv6_det_small.onnx",
    "Cls.model_path": "ch_ppocr_mobile_v2.0_cls_mobile.onnx",
    "Rec.model_path": "PP-OCRv6_rec_small.onnx",
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
        config = rapidocr.RapidOCR(params=_parameters(threads)).cfg
        config.Det.engine_cfg = config.Rec.engine_cfg = config.EngineConfig.onnxruntime
        config.Rec.font_path = None
        self._detector = TextDetector(config.Det)
        self._recogniser = TextRecognizer(config.Rec)
        cv2.setNumThreads(threads)

    def detect(self, image: Pixels) -> list[Quad]:
        """Find text, as quadrilaterals in the image's pixels: clockwise from the upper left corner."""
        if is_plain(image):
            return []
        boxes = self._detector(image).boxes
        return [] if boxes is None else [np.asarray(box, np.float32) for box in boxes]

    def read(self, crops: Sequence[Pixels]) -> list[Recognition]:
        """Read each crop as one upright line."""
        if not crops:
            return []
        read: Any = self._recogniser(TextRecInput(img=[_at_height(crop) for crop in crops], return_word_box=True))
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


def _parameters(threads: int) -> dict[str, Any]:
    models = Path(rapidocr.__file__).parent / "models"
    paths = {name: models / file for name, file in _MODELS.items()}
    for path in paths.values():
        if not path.is_file():
            raise FileNotFoundError(f"The installed rapidocr lacks its model {path.name}: install shelfwire[scan] anew")
    return {
        **{name: str(path) for name, path in paths.items()},
        "Global.log_level": "error",
        "Det.limit_side_len": 32,  # The caller chooses the size.
        "Det.limit_type": "min",
        "Rec.rec_batch_num": 2,  # A batch is as wide as its widest line, and saves nothing else.
        "Rec.rec_img_shape": [3, LETTER_HEIGHT, 2 * LETTER_HEIGHT],
        "EngineConfig.onnxruntime.intra_op_num_threads": threads,
        "EngineConfig.onnxruntime.enable_cpu_mem_arena": False,  # An arena keeps what the largest photo took.
    }


def reading_width(width: float, height: float) -> int:
    """Pixels of the width to which a crop of this size is brought to be read; the time for it grows with them."""
    return min(_WIDEST, max(LETTER_HEIGHT // 3, round(width * LETTER_HEIGHT / height)))


def _at_height(crop: Pixels) -> Pixels:
    height, width = crop.shape[:2]
    wanted = reading_width(width, height)
    kind = cv2.INTER_AREA if height > LETTER_HEIGHT else cv2.INTER_CUBIC
    return np.asarray(cv2.resize(crop, (wanted, LETTER_HEIGHT), interpolation=kind), np.uint8)
