"""Which registered pairs a stack believes, and how much of each."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from linumpy_lib.alignment.pair_folder import PairRecord
from linumpy_lib.alignment.rigid import Rigid

Use = Literal["full", "rotation", "none"]


@dataclass(frozen=True)
class LinkRules:
    """What is asked of a pair; see the parameters of `stack_slices`."""

    apply: bool = True
    rotation_only: bool = False
    confidence_high: float = 0.6
    confidence_low: float = 0.3
    skip_error: bool = True
    skip_warning: bool = True
    min_correlation: float = 0.0
    max_rotation_deg: float = 0.0
    translation_min_correlation: float = 0.2
    max_translation_px: float = 0.0
    weigh: bool = True


@dataclass(frozen=True)
class Link:
    """A pair as the stack uses it.

    Attributes
    ----------
    record : PairRecord
        The registration.
    change : Rigid
        Motion from fixed to moving slice on the canvas, beyond its positions.
    use : {"full", "rotation", "none"}
        What of it is believed.
    reason : str
        Why not all of it.
    weight : float
        Trust, 0 to 1.
    """

    record: PairRecord
    change: Rigid
    use: Use
    reason: str
    weight: float

    @property
    def ids(self) -> tuple[int, int]:
        """The fixed and the moving slice."""
        return self.record.fixed_id, self.record.moving_id


def about(motion: Rigid, centre: tuple[float, float]) -> Rigid:
    """Return the same motion as a rotation about another centre."""
    y, x = (motion.apply(centre) - centre).tolist()
    return Rigid(motion.angle_rad, (y, x), centre)


def on_canvas(motion: Rigid, fixed: Rigid, moving: Rigid) -> Rigid:
    """Return a motion between the voxels of two slices as one of the canvas, given each slice's canvas motion."""
    return about(moving.inverse().after(motion).after(fixed), fixed.centre)


def judge_link(record: PairRecord, change: Rigid, rules: LinkRules, *, excluded: bool) -> Link:
    """Decide what of a pair is believed.

    Parameters
    ----------
    record : PairRecord
        The registration.
    change : Rigid
        What it tells beyond the positions on the canvas.
    rules : LinkRules
        What is asked.
    excluded : bool
        The moving slice is marked auto_excluded: it stays at its motor position.
    """
    use, reason = _judged(record, change, rules, excluded=excluded)
    weight = record.confidence**2 if rules.weigh else 1.0
    return Link(record, change, use, reason, weight if use != "none" else 0.0)


def _judged(record: PairRecord, change: Rigid, rules: LinkRules, *, excluded: bool) -> tuple[Use, str]:
    if not rules.apply:
        return "none", "apply_pairwise_transforms is false"
    if record.source.startswith("manual"):
        return ("rotation", "apply_rotation_only is true") if rules.rotation_only else ("full", "")
    if excluded:
        return "none", "auto_excluded"
    by_figures = rules.min_correlation > 0 and rules.max_rotation_deg > 0
    if not by_figures:
        if record.status == "error" and rules.skip_error:
            return "none", "registration failed (status error)"
        if record.status == "warning" and rules.skip_warning:
            return "none", "registration is doubtful (status warning)"
    correlation = record.correlation if record.correlation is not None else 0.0
    if rules.min_correlation > 0 and correlation < rules.min_correlation:
        return "none", f"z_correlation {correlation:.3f} is below load_transform_min_zcorr"
    if rules.max_rotation_deg > 0 and abs(change.angle_deg) > rules.max_rotation_deg:
        return "none", f"rotation {change.angle_deg:.2f} deg is beyond load_transform_max_rotation"
    if record.confidence < rules.confidence_low:
        return "none", f"confidence {record.confidence:.3f} is below transform_confidence_low"
    if rules.rotation_only:
        return "rotation", "apply_rotation_only is true"
    if record.confidence < rules.confidence_high:
        return "rotation", f"confidence {record.confidence:.3f} is below transform_confidence_high"
    if correlation < rules.translation_min_correlation:
        return "rotation", f"z_correlation {correlation:.3f} is below stack_translation_min_zcorr"
    # at 95 % of the largest translation a registration has most likely run into its bound
    if rules.max_translation_px > 0 and change.length >= 0.95 * rules.max_translation_px:
        return "rotation", f"translation {change.length:.1f} px reaches stack_max_pairwise_translation"
    return "full", ""


def chosen_records(
    records: Sequence[PairRecord], manual: Sequence[PairRecord], ids: Sequence[int], reach: int = 2
) -> tuple[list[PairRecord], list[str]]:
    """Put manual pairs in the place of automated ones, and leave out pairs of slices that are not there.

    Parameters
    ----------
    records, manual : sequence of PairRecord
        Automated and manual registrations; a fixed id of -1 is the slice before.
    ids : sequence of int
        Slices of the stack, ascending.
    reach : int
        Places in the stack that the slices of a pair may be apart. Pairs of slices that are no neighbours and share no
        plane are left out too: what lies between was compared by nobody, and neighbours tell more.

    Returns
    -------
    kept : list of PairRecord
    notes : list of str
        What was left out.
    """
    before: Mapping[int, int] = dict(zip(ids[1:], ids[:-1], strict=True))
    place = {slice_id: k for k, slice_id in enumerate(ids)}
    kept: list[PairRecord] = []
    lost: list[PairRecord] = []
    placed_by_hand = {record.moving_id for record in manual}
    for record in [*manual, *records]:
        moving = record.moving_id
        if record.fixed_id == -1 and moving in before:
            record = PairRecord(**{**record.__dict__, "fixed_id": before[moving]})  # noqa: PLW2901
        if moving not in ids or record.fixed_id not in ids:
            lost.append(record)
        elif moving in placed_by_hand and not record.source.startswith("manual"):
            continue
        elif (
            record.source.startswith("manual")
            or (apart := place[moving] - place[record.fixed_id]) == 1
            or (apart <= reach and record.overlaps)
        ):
            kept.append(record)
    notes = []
    if lost:
        notes.append(
            f"{len(lost)} pairs are left out, since a slice of theirs is not stacked (the first is {lost[0].fixed_id} "
            f"and {lost[0].moving_id})"
        )
    return sorted(kept, key=lambda r: (r.moving_id, -r.fixed_id)), notes
