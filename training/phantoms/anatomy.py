"""The phantom's organs: their positions, sizes and attenuation on CT in each contrast phase.

Positions are in mm in the patient's own frame: origin in the body of the first lumbar vertebra, x to the patient's
right, y to the front, z to the head. Sizes and attenuation are textbook values of adults, rounded; `phantom`
varies them from case to case. Later rows are painted over earlier ones.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum

from ...runtime.task_presets import PRESETS
from .shapes import Cut, Ellipsoid, Point, Shape, Tube, Union

LABELS: tuple[str, ...] = PRESETS["btcv"].labels


class Phase(IntEnum):
    """Contrast phase of the scan; the index into `Part.hu`."""

    NATIVE = 0
    ARTERIAL = 1
    PORTAL_VENOUS = 2


@dataclass(frozen=True)
class Hollow:
    """Wall and content of a hollow organ.

    Attributes:
        wall: thickness of the wall in mm.
        content: (low, high) HU of the content; each case draws one value.
        gas: maximum share of the lumen's height filled with gas, 0…1, at the front, since patients lie on their back.
        mottle: standard deviation in HU of the content's texture (food, stool).
    """

    wall: float
    content: tuple[float, float]
    gas: float = 0.0
    mottle: float = 0.0


@dataclass(frozen=True)
class Part:
    """One row of the anatomy.

    Attributes:
        name: name of a BTCV label, or another name for tissue without a label.
        shape: shape at the mean position.
        hu: HU (of the wall, if hollow) in the native, arterial and portal-venous phase.
        group: name of a group of parts that are shifted and scaled together; by default each part is its own group.
        shift: standard deviation of the position in mm, per axis.
        size: standard deviation of the scale factor.
        clipped: whether the part is cut off outside the abdominal cavity, which ends at the diaphragm.
        hollow: wall and content; None for a solid part.
        within: label of the organ that limits the part; voxels inside keep this label.
        absent: probability that a patient lacks the part.
    """

    name: str
    shape: Shape
    hu: tuple[float, float, float]
    group: str = ""
    shift: float = 4.0
    size: float = 0.07
    clipped: bool = False
    hollow: Hollow | None = None
    within: str | None = None
    absent: float = 0.0

    @property
    def label(self) -> int:
        """BTCV label index; 0 for tissue without a label."""
        name = self.within or self.name
        return LABELS.index(name) if name in LABELS else 0


BOWEL = (40.0, 65.0, 90.0)
MUSCLE = (52.0, 58.0, 62.0)
FAT = (-104.0, -103.0, -102.0)
CORTICAL_BONE, SPONGY_BONE, DISC, CANAL = 420.0, 170.0, 75.0, 28.0
ARTERY = (42.0, 310.0, 155.0)
VEIN = (39.0, 75.0, 140.0)
PORTAL = (38.0, 110.0, 170.0)

_STOOL = Hollow(wall=3.5, content=(0, 60), gas=0.55, mottle=70)
_FLUID = Hollow(wall=3.5, content=(5, 35), gas=0.45, mottle=8)


def _kidney(side: str, sign: int, lift: float) -> tuple[Part, ...]:
    """Returns one kidney: capsule of fat, cortex, medulla, and the sinus with its fluid, which the label excludes."""
    x, y, name = 68.0 * sign, 0.0, f"kidney_{side}"
    tilt = -9.0 * sign  # the upper poles lean towards the spine

    def egg(dx: float, dy: float, radii: Point) -> Ellipsoid:
        return Ellipsoid((x - dx * sign, y + dy, lift), radii, tilt)

    sinus = egg(23, 8, (15, 11, 22))
    return (
        Part(f"capsule_{side}", egg(-1, 0, (33, 34, 60)), FAT, name, shift=5, size=0.06, clipped=True),
        Part(name, Cut(egg(0, 0, (27, 28, 53)), (sinus,)), (32, 185, 180), name, shift=5, size=0.06, clipped=True),
        Part(f"medulla_{side}", egg(6, 2, (15, 16, 38)), (31, 95, 165), name, within=name),
        Part(f"pelvis_{side}", egg(24, 8, (8, 6, 13)), (6, 8, 15), name),
    )


def _adrenal(side: str, body: Point, limbs: tuple[Point, Point], top: Point) -> Part:
    """Returns one adrenal gland, an inverted Y: a short body and two limbs that run backwards."""
    arms = tuple(Tube((top, body, limb), (3.6, 4.6, 3.6), steps=3) for limb in limbs)
    return Part(f"adrenal_gland_{side}", Union(arms), (20, 62, 68), shift=2.0, size=0.06, clipped=True)


_LIVER = Cut(
    Union(
        (
            Ellipsoid((77, 38, 50), (66, 85, 75)),
            Ellipsoid((104, 38, -8), (34, 58, 58)),
            Ellipsoid((8, 88, 58), (66, 42, 42), tilt=-10),
        ),
        blend=22,
    ),
    (
        Ellipsoid((28, 46, -18), (52, 62, 46)),  # the visceral face
        Ellipsoid((-28, 20, 62), (42, 44, 60)),  # the bed of the stomach
        Ellipsoid((0, -14, 50), (34, 44, 110)),  # spine and crura
    ),
)
_SPLEEN = Cut(
    Ellipsoid((-110, -8, 46), (42, 58, 62), tilt=-12),
    (Ellipsoid((-64, 30, 50), (38, 52, 66)), Ellipsoid((-64, 0, 4), (36, 38, 62))),
)
_HEPATIC_VESSELS = Union(
    (
        Tube(((24, 46, 92), (60, 44, 84), (104, 38, 62)), (5, 4, 2.5)),
        Tube(((24, 48, 92), (48, 76, 80), (72, 104, 56)), (5, 4, 2.5)),
        Tube(((22, 50, 92), (8, 78, 80), (-14, 96, 66)), (4.5, 3.5, 2.5)),
    )
)
_PORTAL_BRANCHES = Union(
    (
        Tube(((56, 60, 48), (88, 52, 44), (116, 50, 26)), (6, 4.5, 2.5)),
        Tube(((44, 64, 46), (24, 86, 56), (-2, 98, 56)), (5, 4, 2.5)),
    )
)
_STOMACH = Tube(
    ((-62, 16, 88), (-66, 40, 70), (-64, 70, 40), (-42, 94, 12), (-8, 98, -2), (22, 86, 6)), (30, 35, 31, 26, 19, 11)
)
_COLON_RIGHT = Tube(
    ((100, 36, -120), (104, 34, -84), (106, 40, -58), (84, 84, -46), (40, 108, -52)), (25, 28, 24, 20, 19)
)
_COLON_MIDDLE = Tube(
    ((40, 108, -52), (0, 116, -60), (-44, 112, -48), (-88, 80, -6), (-106, 42, 24)), (19, 20, 18, 18, 17)
)
_COLON_LEFT = Tube(
    ((-106, 42, 24), (-118, 24, -6), (-116, 14, -46), (-112, 14, -84), (-100, 20, -125)), (16, 15, 14, 14, 15)
)
_VESSELS_WITHOUT_LABEL = (
    Part("mesenteric_vein", Tube(((8, 60, 18), (10, 64, -20), (14, 70, -70)), (6, 5.5, 4)), PORTAL, shift=2),
    Part("mesenteric_artery", Tube(((-10, 36, 16), (-8, 54, -4), (-4, 66, -66)), (4, 4, 3)), ARTERY, shift=1),
    Part("celiac_trunk", Tube(((-13, 36, 34), (-6, 54, 36), (18, 62, 38)), (4.5, 4, 3)), ARTERY, shift=1),
    Part("renal_vein_left", Tube(((20, 40, 8), (-14, 42, 12), (-46, 8, 10)), (5, 4.5, 5)), VEIN, shift=1),
    Part("renal_vein_right", Tube(((22, 38, 2), (46, 10, 0)), (5, 5)), VEIN, shift=1),
    Part("iliac_arteries", Union((Tube(((-6, 27, -92), (24, 24, -150)), (7, 6)),
                                  Tube(((-6, 27, -92), (-36, 24, -150)), (7, 6)))), ARTERY, "aorta"),
    Part("iliac_veins", Union((Tube(((12, 24, -102), (34, 14, -150)), (9, 8)),
                               Tube(((12, 24, -102), (-26, 14, -150)), (9, 8)))), VEIN, "inferior_vena_cava"),
)  # fmt: skip

# Painted before the spine and the muscles of the back.
VISCERA: tuple[Part, ...] = (
    Part("colon_ascending", _COLON_RIGHT, BOWEL, shift=8, size=0.1, clipped=True, hollow=_STOOL),
    Part("colon_transverse", _COLON_MIDDLE, BOWEL, shift=9, size=0.1, clipped=True, hollow=_STOOL),
    Part("colon_descending", _COLON_LEFT, BOWEL, shift=6, size=0.1, clipped=True, hollow=_STOOL),
    Part("liver", _LIVER, (56, 72, 108), shift=5, size=0.06, clipped=True),
    Part("hepatic_veins", _HEPATIC_VESSELS, (38, 70, 150), "liver", within="liver"),
    Part("portal_branches", _PORTAL_BRANCHES, PORTAL, "liver", within="liver"),
    Part("spleen", _SPLEEN, (46, 118, 122), shift=6, size=0.1, clipped=True),
    Part("stomach", _STOMACH, (42, 70, 92), shift=6, size=0.09, clipped=True,
         hollow=Hollow(wall=5, content=(5, 55), gas=0.6, mottle=25)),
)  # fmt: skip

# Painted after spine and muscles: the organs in front of and beside the spine.
RETROPERITONEUM: tuple[Part, ...] = (
    *_kidney("right", 1, -4.0),
    *_kidney("left", -1, 6.0),
    Part("duodenum", Tube(((24, 86, 4), (46, 70, 4), (50, 52, -22), (34, 44, -46), (-18, 44, -42)),
                          (11, 12, 12, 11, 11)), BOWEL, shift=4, clipped=True, hollow=_FLUID),
    Part("pancreas", Tube(((30, 58, -14), (28, 62, 6), (6, 68, 20), (-24, 64, 26), (-54, 44, 34), (-80, 22, 42)),
                          (14, 15, 10, 11, 10, 8)), (38, 98, 100), shift=4, size=0.08, clipped=True),
    Part("inferior_vena_cava", Tube(((12, 25, -104), (18, 34, -60), (21, 38, 0), (24, 44, 52), (22, 54, 92),
                                     (12, 66, 122)), (11, 11, 12, 12.5, 13, 13)), VEIN, shift=2.5, size=0.1),
    Part("aorta", Tube(((-6, 27, -94), (-9, 30, -50), (-13, 29, 0), (-14, 27, 50), (-18, 23, 110), (-22, 21, 190)),
                       (9, 9.5, 10.5, 11.5, 12, 12.5)), ARTERY, shift=2.5, size=0.1),
    *_VESSELS_WITHOUT_LABEL,
    Part("portal_vein_and_splenic_vein", Union((
        Tube(((8, 57, 20), (26, 62, 34), (58, 60, 48)), (7.5, 7.5, 6.5)),
        Tube(((8, 57, 20), (-22, 54, 26), (-56, 32, 36), (-88, 12, 42)), (6, 5.5, 5, 4.5)),
    )), PORTAL, shift=2.5, size=0.08),
    Part("esophagus", Tube(((0, 26, 190), (-2, 30, 140), (-8, 38, 112), (-24, 40, 98), (-46, 32, 90)),
                           (8, 8.5, 8.5, 8.5, 9)), (38, 62, 72), shift=2.5, size=0.09,
         hollow=Hollow(wall=5, content=(-20, 40))),
    Part("gallbladder", Tube(((44, 72, 20), (58, 92, 2), (68, 104, -20)), (6, 14, 16)), (35, 40, 50),
         shift=5, size=0.14, clipped=True, hollow=Hollow(wall=1.5, content=(2, 18)), absent=0.06),
    _adrenal("right", (31, 16, 54), ((24, -2, 44), (38, -4, 42)), (32, 22, 62)),
    _adrenal("left", (-42, 20, 52), ((-36, 0, 42), (-53, 0, 42)), (-40, 26, 60)),
)  # fmt: skip
