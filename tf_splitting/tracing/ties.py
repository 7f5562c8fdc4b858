"""Which channel axes must keep one width: a union-find over axes.

A group is a channel space in the making. Ties unite groups, or cut one into parts where
its channels turn out to be several spaces end to end.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(eq=False)
class Group:
    """A channel space in the making: a node of the union-find.

    `parts` are what it turned out to consist of: several spaces end to end, where an
    Add met a tensor of such channels; or one whose channels stand for several in a row
    each, such as the heads that a layer's outputs are reshaped to. A space goes by the
    layer of the first in `order`.
    """

    width: int
    layer: str
    order: tuple[bool, int]
    parent: Group | None = None
    parts: Blocks = ()
    frozen: str | None = None

    @property
    def made(self) -> bool:
        """Whether `layer` makes the channels: see `Ties.new_group`."""
        return not self.order[0]

    def root(self) -> Group:
        """The group that stands for all it is united with."""
        node = self
        while node.parent is not None:
            node = node.parent
        return node


# The channels of groups end to end on an axis, each so many times in a row.
Blocks = tuple[tuple[Group, int], ...]


def whole(blocks: Blocks) -> Blocks:
    """The blocks with every group replaced by its root or the root's parts."""
    found: list[tuple[Group, int]] = []
    for group, repeat in blocks:
        root = group.root()
        if root.parts:
            found.extend(whole(tuple((part, n * repeat) for part, n in root.parts)))
        else:
            found.append((root, repeat))
    return tuple(found)


def grows(blocks: Blocks) -> bool:
    """Whether any channel on the axis may still be split."""
    return any(group.frozen is None for group, _ in whole(blocks))


def freeze(blocks: Blocks, reason: str) -> None:
    """All channels on the axis must keep their number; the first reason stays."""
    for group, _ in whole(blocks):
        group.frozen = group.frozen or reason


class Ties:
    """All groups of a model, and what ties them."""

    def __init__(self) -> None:
        self._groups: list[Group] = []

    def new_group(
        self, width: int, layer: str, frozen: str | None = None, *, made: bool = True
    ) -> Group:
        """A group that nothing is tied to yet.

        Args:
            width: number of channels.
            layer: path of the one that has them first.
            frozen: why they must keep their number, if they must.
            made: whether it makes them, and has not just numbers for those of others.
        """
        group = Group(width, layer, (not made, len(self._groups)), frozen=frozen)
        self._groups.append(group)
        return group

    def tie(self, left: Blocks, right: Blocks, path: str) -> None:
        """Channel i of one is channel i of the other from here on.

        Where one group meets several, it is cut into parts of their widths. Where one
        side repeats channels more often than the other, several channels of that are
        one of its own.

        Args:
            left, right: two axes of one length.
            path: the layer that ties them.
        """
        while (place := _first_mismatch(left, right)) is not None:
            (a, repeat), (b, other), rest = place
            few, many = sorted(((a, repeat), (b, other)), key=lambda e: -e[1])
            each, left_over = divmod(few[1], many[1])
            if left_over or (each > 1 and a is b):
                freeze(rest, f"{path!r} ties channels that are laid out differently")
                return
            common = min(few[0].width * each, many[0].width)
            if common % each:
                freeze(rest, f"{path!r} ties channels in bundles that others overlap")
                return
            if common < many[0].width:
                self._cut(many[0], common)
            elif common < few[0].width * each:
                self._cut(few[0], common // each)
            elif each > 1:
                _make_one(many[0], (few[0], each))
            else:
                _unite(a, b)

    def names(self) -> dict[Group, str]:
        """A name for every group that stands for a space, by its first layer."""
        names: dict[Group, str] = {}
        taken: set[str] = set()
        for group in self._groups:
            root = group.root()
            if root in names or root.parts:
                continue
            name, count = root.layer, 1
            while name in taken:
                count += 1
                name = f"{root.layer}:{count}"
            taken.add(name)
            names[root] = name
        return names

    def _cut(self, group: Group, at: int) -> None:
        """Makes two groups of one, the first `at` channels and the rest."""
        group.parts = tuple(
            (self.new_group(width, group.layer, group.frozen, made=group.made), 1)
            for width in (at, group.width - at)
        )


def _first_mismatch(
    left: Blocks, right: Blocks
) -> tuple[tuple[Group, int], tuple[Group, int], Blocks] | None:
    """The first blocks that are not the same, and all blocks from there on."""
    ours, theirs = whole(left), whole(right)
    for i, (a, b) in enumerate(zip(ours, theirs, strict=False)):
        if a != b:
            return a, b, (*ours[i:], *theirs[i:])
    return None


def _make_one(many: Group, few: tuple[Group, int]) -> None:
    """So many channels of one group are one of the other from here on."""
    group, _ = few
    group.frozen = group.frozen or many.frozen
    if many.order < group.order:
        # Spaces go by the layer that makes them first.
        group.layer = many.layer
    many.parts = (few,)


def _unite(a: Group, b: Group) -> None:
    first, second = sorted((a.root(), b.root()), key=lambda group: group.order)
    if first is not second:
        second.parent = first
        first.frozen = first.frozen or second.frozen
