"""ICC profiles: what a coloured or gray picture may carry, and how a profile shows its grays.

Sample values are never converted. Sources: ICC.1:2010 (tags, number formats), IEC 61966-2-1 (primaries of sRGB).
"""

from __future__ import annotations

import io
import struct

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageCms

# Colorants of sRGB adapted to the D50 white of the connection space, as s15Fixed16 (the published sRGB profiles' values).
_COLORANTS = {
    b"rXYZ": (0.43607, 0.22249, 0.01392),
    b"gXYZ": (0.38515, 0.71687, 0.09708),
    b"bXYZ": (0.14307, 0.06061, 0.7141),
}
_D50 = (0.9642, 1.0, 0.8249)
_SAME = 1.5  # levels: a tone curve this close to sRGB's shows the same picture


def space(profile: bytes) -> str:
    """The colour space a profile is for: RGB, GRAY, CMYK ...; an empty text when it is no profile."""
    return profile[16:20].decode("ascii", "replace").strip() if profile[36:40] == b"acsp" else ""


def for_rgb(profile: bytes) -> bytes | None:
    """The profile to carry over to RGB samples: an RGB one as it is, a gray one as an RGB one with its tone curve.

    None when there is no sound way: CMYK, damaged, or a gray one that is not a plain curve.
    """
    if space(profile) == "RGB":
        return profile
    curve = _tag(profile, b"kTRC") if _plain(profile, "GRAY") else None
    if curve is None:
        return None
    colorants = {name: _xyz(*values) for name, values in _COLORANTS.items()}
    return _assembled(b"RGB ", {**colorants, b"rTRC": curve, b"gTRC": curve, b"bTRC": curve})


def for_gray(profile: bytes) -> bytes | None:
    """The profile to carry over to gray samples: a gray one as it is, an RGB one as a gray one with its tone curve."""
    if space(profile) == "GRAY":
        return profile
    curves = [_tag(profile, name) for name in (b"rTRC", b"gTRC", b"bTRC")] if _plain(profile, "RGB") else [None]
    if curves[0] is None or curves.count(curves[0]) != 3:
        return None
    return _assembled(b"GRAY", {b"kTRC": curves[0]})


def tone(profile: bytes) -> npt.NDArray[np.float32] | None:
    """The sRGB levels (256,) that the profile shows for gray levels 0..255; None where that is no change worth making."""
    carried = for_rgb(profile)
    if carried is None:
        return None
    ramp = Image.frombytes("L", (256, 1), bytes(range(256))).convert("RGB")
    try:
        source = ImageCms.ImageCmsProfile(io.BytesIO(carried))
        shown = ImageCms.profileToProfile(ramp, source, ImageCms.createProfile("sRGB"))
    except (ImageCms.PyCMSError, OSError):
        return None
    assert shown is not None  # only in-place conversions return None
    levels = np.asarray(shown.convert("L"), np.float32)[0]
    return None if np.abs(levels - np.arange(256)).max() <= _SAME else levels


def _plain(profile: bytes, wanted: str) -> bool:
    """Whether the profile is of that colour space, made of curves (not tables), and its connection space is XYZ."""
    return space(profile) == wanted and profile[20:24] == b"XYZ " and _tag(profile, b"A2B0") is None


def _tag(profile: bytes, name: bytes) -> bytes | None:
    """The data of a tag, if the profile has it whole."""
    try:
        (count,) = struct.unpack_from(">I", profile, 128)
        for entry in range(min(count, 100)):
            signature, offset, size = struct.unpack_from(">4sII", profile, 132 + 12 * entry)
            if signature == name:
                return profile[offset : offset + size] if 0 < size <= len(profile) - offset else None
    except struct.error:
        return None
    return None


def _assembled(colour_space: bytes, tags: dict[bytes, bytes]) -> bytes:
    """A version 4.3 display profile of these tags and the three that every profile has."""
    tags = {b"desc": _text("tone curve kept by tinct"), b"cprt": _text("CC0"), b"wtpt": _xyz(*_D50), **tags}
    table, data, places = b"", b"", dict[bytes, int]()
    start = 132 + 12 * len(tags)
    for name, value in tags.items():
        if value not in places:  # the three curves of RGB are one
            places[value] = start + len(data)
            data += value + bytes(-len(value) % 4)
        table += struct.pack(">4sII", name, places[value], len(value))
    size = start + len(data)
    head = struct.pack(">I4sI4s4s4s", size, bytes(4), 0x04300000, b"mntr", colour_space, b"XYZ ")
    head += struct.pack(">6H4s", 2000, 1, 1, 0, 0, 0, b"acsp") + bytes(28) + _fixed(*_D50)
    return head.ljust(128, b"\0") + struct.pack(">I", len(tags)) + table + data


def _fixed(*values: float) -> bytes:
    return struct.pack(f">{len(values)}i", *(round(value * 65536) for value in values))


def _xyz(*values: float) -> bytes:
    return b"XYZ " + bytes(4) + _fixed(*values)


def _text(text: str) -> bytes:
    encoded = text.encode("utf-16-be")
    return b"mluc" + bytes(4) + struct.pack(">II4sII", 1, 12, b"enUS", len(encoded), 28) + encoded
