"""What a light installation goes without: libraries that evaluating scores and embeddings does not need."""

HEAVY = {
    "torch": "torch",
    "cv2": "opencv-python",
    "insightface": "insightface",
    "onnx": "onnx",
    "onnxruntime": "onnxruntime",
    "safetensors": "safetensors",
}
"""Names of modules, and of the packages that hold them. Faces, recognisers and training need them."""


def missing_package(error: BaseException) -> str | None:
    """The package that a light installation leaves out and an import asked for; None for every other error.

    Example:
        >>> missing_package(ModuleNotFoundError("No module named 'cv2'", name="cv2"))
        'opencv-python'
    """
    if not isinstance(error, ModuleNotFoundError):
        return None
    return HEAVY.get((error.name or "").partition(".")[0])
