"""Finds left and right organs in a list of label names, in any usual spelling and in several languages."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import Enum

from ..scans.names import joined_names


class Side(Enum):
    """A side of the body."""

    LEFT = "left"
    RIGHT = "right"


@dataclass(frozen=True)
class SidedLabels:
    """The names with a side in a list of labels.

    Attributes:
        pairs: (left, right) names that differ by the side alone, in the order of the list.
        single: names of one side of an organ that the body has twice, where the other side is not in the list.
        parts: those of ``pairs`` that are two parts of one organ, such as the ventricles of the heart.
    """

    pairs: tuple[tuple[str, str], ...]
    single: tuple[str, ...]
    parts: tuple[tuple[str, str], ...] = ()

    @property
    def forbid_mirroring(self) -> bool:
        """Whether a scan mirrored left to right would show an organ under the other side's name."""
        return bool(self.pairs or self.single)

    def describe(self, limit: int | None = None) -> str:
        """Returns one line that lists the pairs, or the single sides if there is no pair.

        Args:
            limit: largest number of names listed; the rest are counted. None lists all.

        >>> find_sides(["liver", "kidney_left", "kidney_right"]).describe()
        'kidney_left / kidney_right'
        """
        named = [f"{left} / {right}" for left, right in self.pairs] or list(self.single)
        return joined_names(named, len(named) if limit is None else limit)


def find_sides(labels: Sequence[str]) -> SidedLabels:
    """Finds the pairs of left and right among labels.

    Two names are a pair if they are equal except for a word or a letter that means the side: ``kidney_left`` and
    ``kidney_right``, ``Left-Thalamus``, ``right kidney``, ``KidneyLeft``, ``Parotid_L``, ``hippocampus_lh``,
    ``linke Niere``, ``rein gauche``, ``LV`` and ``RV``. A letter that is part of a word counts only directly before or
    after an organ's name (``rkid``, ``lkid``): ``liver`` and ``river`` are no pair.

    A side without its counterpart is no pair either. A task with ``left atrium`` alone may train on mirrored scans,
    because the heart has no second one. With ``kidney_left`` alone it may not: in a mirrored scan the right kidney
    is on the left side but labelled as background, and the left kidney is on the right side but labelled as left.
    """
    left: dict[tuple[str, ...], int] = {}
    right: dict[tuple[str, ...], int] = {}
    for index, label in enumerate(labels):
        for side, rest in _readings(label):
            (left if side is Side.LEFT else right).setdefault(rest, index)
    pairs: dict[int, tuple[int, int]] = {}
    paired: set[int] = set()
    for rest, one in left.items():
        other = right.get(rest)
        if other is not None and not paired & {one, other}:
            pairs[min(one, other)] = one, other
            paired |= {one, other}
    single = (label for index, label in enumerate(labels) if index not in paired and _is_one_of_two(label))
    named = tuple((labels[one], labels[other]) for _, (one, other) in sorted(pairs.items()))
    return SidedLabels(named, tuple(single), tuple(pair for pair in named if any(map(_is_part, pair))))


def _folded(text: str) -> str:
    """Returns text without accents, with its case unchanged."""
    decomposed = unicodedata.normalize("NFKD", text)
    return unicodedata.normalize("NFC", "".join(letter for letter in decomposed if not unicodedata.combining(letter)))


def _word_set(text: str) -> frozenset[str]:
    return frozenset(_folded(text).split())


# English, Latin, German, Dutch, French, Spanish, Portuguese, Italian, Polish, Russian, Scandinavian, Turkish, Chinese,
# Japanese, Korean. Some are ambiguous ("der", "sin"), so they count only if the other side's name is in the list.
_FULL = {
    Side.LEFT: _word_set(
        "left sinister sinistra sinistrum sinistri links linke linker linkes linken gauche izquierdo izquierda "
        "esquerdo esquerda sinistro lewy lewa lewe левый левая левое vänster venstre sol 左 왼쪽"
    ),
    Side.RIGHT: _word_set(
        "right dexter dextra dextrum dextri rechts rechte rechter rechtes rechten droit droite derecho derecha direito "
        "direita destro destra prawy prawa prawe правый правая правое höger højre høyre sağ 右 오른쪽"
    ),
}
_SHORT = {
    Side.LEFT: _word_set("l lt lft lh sin sx izq esq li"),
    Side.RIGHT: _word_set("r rt rgt rh dex dext dx der dir re"),
}
_GLUED = {"left": Side.LEFT, "right": Side.RIGHT, "links": Side.LEFT, "rechts": Side.RIGHT}
_LETTER = {"l": Side.LEFT, "r": Side.RIGHT}

_ORGANS = _word_set(
    "accumbens adrenal amygdala atrium auricle bronchus breast carotid caudate cerebellum cerebral cerebrum clavicle "
    "clavicula cochlea cortex eye eyeball femoral femur fibula foot frontal gluteus gonad hand hemisphere hip "
    "hippocampus humerus iliac iliopsoas insula jugular kidney knee lacrimal lens lobe lung mastoid nerve niere "
    "occipital optic orbit ovary pallidum parietal parotid patella psoas putamen radius renal rib scapula shoulder "
    "subclavian submandibular temporal testicle testis thalamus thyroid tibia tonsil ulna ureter ventricle"
)
_BEGINNING = 3  # letters of an organ's name that identify the organ: kid, hip, fem
_ABBREVIATED = _word_set("a v ad ag k kid lu pa pv ca cca ica mca aca pca ul ll")
"""Abbreviations that follow the side's letter, as in lad (MONAI's left adrenal gland), rv, lk and rul."""
_ACRONYM = range(2, 5)  # letters of LV, RPA, LCCA

_OF_ONE_ORGAN = _word_set(
    "atrium atrial atria appendage auricle ventricle ventricular ventriculus myocardium myocardial heart cardiac "
    "coronary liver hepatic gastric colon colic vorhof herzkammer ventrikel"
)
"""Words for organs that the body has once: with these, a side means a part of the organ."""
_CHAMBERS = frozenset(("lv", "rv", "la", "ra"))  # of the heart

_WORD = re.compile(r"[A-Z]+(?=[A-Z][a-z])|[A-Z]?[a-z]+|[A-Z]+|\d+|[^\W\d_]+")
_SIGNS = re.compile("([左右])")


def split_words(label: str) -> list[str]:
    """Splits a name into words at punctuation, at changes of case and around numbers; case is unchanged."""
    return _WORD.findall(_SIGNS.sub(r" \1 ", _folded(label)))


def _readings(label: str) -> Iterator[tuple[Side, tuple[str, ...]]]:
    """Yields each possible reading of a name: the side, and the name's other words."""
    written = split_words(label)
    words = [word.lower() for word in written]
    sides = [_side_of(word) for word in words]
    if len(set(sides) - {None}) == 1 and sum(side is not None for side in sides) > 1:
        rest = tuple(word for word, side in zip(words, sides, strict=True) if side is None)
        yield next(side for side in sides if side is not None), rest
    for place, side in enumerate(sides):
        before, after = words[:place], words[place + 1 :]
        if side is not None:
            yield side, (*before, *after)
        for glued, rest in _glued_sides(written[place]):
            yield glued, (*before, rest, *after)


def _side_of(word: str) -> Side | None:
    return next((side for side in Side if word in _FULL[side] or word in _SHORT[side]), None)


def _glued_sides(written: str) -> Iterator[tuple[Side, str]]:
    """Yields each side that a single word starts or ends with, and the rest of the word."""
    word = written.lower()
    for affix, side in _GLUED.items():
        for rest in (word.removeprefix(affix), word.removesuffix(affix)):
            if rest and rest != word:
                yield side, rest
    first, last = _LETTER.get(word[0]), _LETTER.get(word[-1])
    if first is not None and _may_follow_a_side(written[1:], acronym=written.isupper()):
        yield first, word[1:]
    if last is not None and word[:-1] in _ORGANS | {"kid"}:
        yield last, word[:-1]


def _may_follow_a_side(rest: str, *, acronym: bool) -> bool:
    if acronym and len(rest) + 1 in _ACRONYM:
        return True
    rest = rest.lower()
    if rest in _ABBREVIATED:
        return True
    return len(rest) >= _BEGINNING and any(organ.startswith(rest) for organ in _ORGANS)


def _is_one_of_two(label: str) -> bool:
    """Whether a name contains a whole word for a side and means an organ that the body has twice."""
    return bool(_words(label) & (_FULL[Side.LEFT] | _FULL[Side.RIGHT])) and not _is_part(label)


def _is_part(label: str) -> bool:
    """Whether a side in a name means a part of an organ that the body has once."""
    words = _words(label)
    # The lateral ventricles are the brain's, one on each side.
    return "lateral" not in words and bool(words & (_OF_ONE_ORGAN | _CHAMBERS))


def _words(label: str) -> set[str]:
    return {word.lower() for word in split_words(label)}
