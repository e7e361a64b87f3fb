"""The shape of an EG3D generator, read off its tensors, and how it renders, read off its record."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal

from torch import Tensor

from frbias.core.foundation.errors import BadInputError

CAMERA_CONDITIONS = 25
AgeKind = Literal["none", "scalar", "classes"]
_RELEASED_RESOLUTION = 128
_SR_CLAMP = 256.0


@dataclass(frozen=True)
class RenderingConfig:
    """How a generator renders; defaults are those of the published FFHQ models.

    Attributes:
        depth_resolution: Coarse samples a ray.
        depth_resolution_importance: Fine samples a ray; 0 for none.
        ray_start, ray_end: Depths between which coarse samples lie.
        box_warp: Side of the cube that the planes cover.
        white_back: Fill what is left of a ray's weight with white.
        decoder_lr_mul: Learning-rate multiplier of the decoder.
        c_gen_conditioning_zero: The mapping network sees zeros as condition.
        c_scale: Factor on the condition.
        superresolution_noise_mode: Noise of the super-resolution layers.
        sr_antialias: Low-pass when the feature image is shrunk for the super-resolution.
        avg_camera_radius: Distance of the camera from the origin.
        avg_camera_pivot: Point the camera looks at.
    """

    depth_resolution: int = 48
    depth_resolution_importance: int = 48
    ray_start: float = 2.25
    ray_end: float = 3.3
    box_warp: float = 1.0
    white_back: bool = False
    decoder_lr_mul: float = 1.0
    c_gen_conditioning_zero: bool = False
    c_scale: float = 1.0
    superresolution_noise_mode: Literal["none", "const"] = "none"
    sr_antialias: bool = True
    avg_camera_radius: float = 2.7
    avg_camera_pivot: tuple[float, float, float] = (0.0, 0.0, 0.2)

    @classmethod
    def from_kwargs(cls, kwargs: Mapping[str, Any]) -> "RenderingConfig":
        """Read ``rendering_kwargs`` as a checkpoint stores them; keys of training are passed over.

        Raises:
            BadInputError: Something is set that this renderer does not do.
        """
        if kwargs.get("clamp_mode", "softplus") != "softplus":
            raise BadInputError(f"The generator's clamp_mode is {kwargs['clamp_mode']!r}; only softplus is known.")
        unsupported = [key for key in ("disparity_space_sampling", "density_noise") if kwargs.get(key)] + [
            key for key in ("ray_start", "ray_end") if isinstance(kwargs.get(key), str)
        ]
        if unsupported:
            raise BadInputError(
                f"The generator renders with {unsupported[0]}={kwargs[unsupported[0]]!r}, not supported."
            )
        mode = kwargs.get("superresolution_noise_mode", "none")
        if mode not in ("none", "const"):
            raise BadInputError(f"The generator's superresolution_noise_mode is {mode!r}; none and const are known.")
        known = {key: kwargs[key] for key in cls.__dataclass_fields__ if key in kwargs}
        known["avg_camera_pivot"] = tuple(float(v) for v in kwargs.get("avg_camera_pivot", (0.0, 0.0, 0.2)))
        # Quirk: where c_scale is not stored, the published code zeroes the condition.
        known.setdefault("c_scale", 0.0)
        return cls(**known)

    def overridden(self, **changes: Any) -> "RenderingConfig":
        """A copy with other values."""
        return replace(self, **changes)


@dataclass(frozen=True)
class SuperResolutionConfig:
    """Shape of the super-resolution network.

    Attributes:
        input_resolution: Size that feature images are resized to.
        channels: Widths of the two blocks.
        resolutions: Their output sizes.
        first_up: Whether the first block doubles (8X, 8XDC) or not (2X, 4X).
        own_filter: Whether there is a ``resample_filter`` outside of the blocks (all variants but 8XDC).
        clamp: Limit of layer outputs; None for no limit.
    """

    input_resolution: int
    channels: tuple[int, int]
    resolutions: tuple[int, int]
    first_up: bool = True
    own_filter: bool = False
    clamp: float | None = _SR_CLAMP


@dataclass(frozen=True)
class Eg3dConfig:
    """Everything that is needed to build and run a generator.

    Attributes:
        z_dim, c_dim, w_dim: Sizes of latent, condition and style.
        mapping_layers: Fully connected layers of the mapping network.
        channels: Widths of the backbone's blocks by resolution (4, 8, ...).
        plane_channels: Feature channels of one plane.
        decoder_width: Hidden units of the decoder.
        colours: Channels of the feature image.
        superresolution: Shape of the super-resolution network.
        rendering: How it renders.
        rendering_resolution: Height and width of the feature image.
        clamp: Limit of the backbone's layer outputs.
    """

    z_dim: int
    c_dim: int
    w_dim: int
    mapping_layers: int
    channels: dict[int, int]
    superresolution: SuperResolutionConfig
    rendering: RenderingConfig
    rendering_resolution: int = _RELEASED_RESOLUTION
    plane_channels: int = 32
    decoder_width: int = 64
    colours: int = 32
    clamp: float | None = None

    @property
    def plane_resolution(self) -> int:
        """Height and width of the planes."""
        return max(self.channels)

    @property
    def image_resolution(self) -> int:
        """Height and width of finished images."""
        return self.superresolution.resolutions[1]

    @property
    def num_ws(self) -> int:
        """Styles of the backbone: the first block uses two, each further one two more (it shares one)."""
        return 2 * len(self.channels)

    @property
    def age_kind(self) -> AgeKind:
        """How age enters the condition, told from its size."""
        kinds: dict[int, AgeKind] = {0: "none", 1: "scalar"}
        return kinds.get(self.age_conditions, "classes")

    @property
    def age_conditions(self) -> int:
        """How many numbers of the condition are about age: 0, 1, or the number of classes (101 where published)."""
        return self.c_dim - CAMERA_CONDITIONS


def read_config(
    tensors: Mapping[str, Tensor],
    rendering_kwargs: Mapping[str, Any],
    *,
    init_kwargs: Mapping[str, Any] | None = None,
    rendering_resolution: int | None = None,
) -> Eg3dConfig:
    """Read a generator's shape off its state dict.

    Args:
        tensors: State dict of ``G_ema``.
        rendering_kwargs: As stored with it.
        init_kwargs: As stored with it; only the clamps are taken from here.
        rendering_resolution: ``neural_rendering_resolution`` as stored; default 128.

    Raises:
        BadInputError: The tensors are not those of an EG3D generator, or of a kind that is not supported.
    """
    init = init_kwargs or {}
    try:
        return _read(tensors, rendering_kwargs, init, rendering_resolution or _RELEASED_RESOLUTION)
    except KeyError as error:
        raise BadInputError(f"The weights are no EG3D generator: there is no tensor {error}.") from error


def _read(
    tensors: Mapping[str, Tensor], kwargs: Mapping[str, Any], init: Mapping[str, Any], resolution: int
) -> Eg3dConfig:
    w_dim, c_dim = tensors["backbone.mapping.embed.weight"].shape
    if c_dim < CAMERA_CONDITIONS:
        raise BadInputError(f"The generator's condition has {c_dim} numbers; an EG3D camera alone has 25.")
    resolutions = sorted(
        int(key.split(".")[2][1:])
        for key in tensors
        if key.startswith("backbone.synthesis.b") and key.endswith("conv1.weight")
    )
    channels = {r: int(tensors[f"backbone.synthesis.b{r}.conv1.weight"].shape[0]) for r in resolutions}
    if not resolutions or resolutions != [4 * 2**i for i in range(len(resolutions))]:
        raise BadInputError("The weights are no EG3D generator: its backbone lacks blocks.")
    decoder = tensors["decoder.net.2.weight"].shape
    return Eg3dConfig(
        z_dim=int(tensors["backbone.mapping.fc0.weight"].shape[1]) - w_dim,
        c_dim=c_dim,
        w_dim=w_dim,
        mapping_layers=sum(k.startswith("backbone.mapping.fc") and k.endswith(".weight") for k in tensors),
        channels=channels,
        superresolution=_superresolution(tensors, kwargs, init),
        rendering=RenderingConfig.from_kwargs(kwargs),
        rendering_resolution=int(resolution),
        plane_channels=int(tensors["backbone.synthesis.b4.torgb.weight"].shape[0]) // 3,
        decoder_width=int(decoder[1]),
        colours=int(decoder[0]) - 1,
        clamp=init.get("conv_clamp"),
    )


def _superresolution(
    tensors: Mapping[str, Tensor], kwargs: Mapping[str, Any], init: Mapping[str, Any]
) -> SuperResolutionConfig:
    blocks = [tensors[f"superresolution.block{i}.conv1.noise_const"].shape[0] for i in (0, 1)]
    widths = [tensors[f"superresolution.block{i}.conv1.weight"].shape[0] for i in (0, 1)]
    # The 2X and 4X variants do not differ from the others in any tensor, only in the name of their class.
    first_up = not str(kwargs.get("superresolution_module", "")).endswith(("2X", "4X"))
    return SuperResolutionConfig(
        input_resolution=blocks[0] // 2 if first_up else blocks[0],
        channels=(widths[0], widths[1]),
        resolutions=(blocks[0], blocks[1]),
        first_up=first_up,
        own_filter="superresolution.resample_filter" in tensors,
        # Quirk: the clamp belongs to half precision but applies in float32 too whenever that is enabled.
        clamp=_SR_CLAMP if init.get("sr_num_fp16_res", 4) > 0 else None,
    )
