"""The report page of a volume's anisotropy: how much of which tissue, pointing where, computed how."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from linumpy_lib.anisotropy.orientation_plot import orientation_figure
from linumpy_lib.quality.charts import histogram_svg
from linumpy_lib.quality.report import Metric, Report, Section, format_value

_TITLES = {
    "fa": "FA (fractional anisotropy)",
    "cl": "CL (high in sheets)",
    "cp": "CP (high in fibres)",
    "cs": "CS (high in grains)",
    "cp_norm": "CPnorm (0 fibre, 1 sheet)",
    "lambda2_ratio": "λ2/λ3 (logarithmic)",
}
_GUIDE = (
    ("sheet, membrane, edge", "λ1 ≫ λ2 ≈ λ3", "cigar", "CL, CPnorm; FA up to 1", "principal_dir: normal of the sheet"),
    ("fibre, tube", "λ1 ≈ λ2 ≫ λ3", "pancake", "CP; FA at most 0.707", "fibre_dir: axis of the fibre"),
    ("grain, blob, noise", "λ1 ≈ λ2 ≈ λ3", "ball", "CS; FA near 0", "none"),
)
_FEATURELESS_WARNING = 0.5
_MASK_WARNING = 0.01


def anisotropy_report(
    statistics: Mapping[str, Any],
    *,
    name: str,
    preview_png: bytes | None = None,
    provenance: Mapping[str, Any] | None = None,
    notes: Sequence[str] = (),
    metrics: Iterable[Metric] = (),
) -> str:
    """Write the page.

    Parameters
    ----------
    statistics : mapping
        Content of ``{name}_statistics.json``, as `AnisotropyStatistics.to_json` makes it.
    name : str
        Name of the volume.
    preview_png : bytes, optional
        The preview picture.
    provenance : mapping, optional
        Provenance of the maps; its ``parameters`` give the methods text.
    notes : sequence of str
        Messages of the run that a reader should see.
    metrics : iterable of Metric
        More figures for the summary, for instance times.

    Returns
    -------
    str
        A self-contained HTML page.
    """
    made_by = dict(provenance or {})
    software = " ".join(str(made_by[key]) for key in ("software", "version") if key in made_by)
    report = Report(f"Anisotropy of {name}", _subtitle(statistics), footer=software)
    summary = report.section("Summary")
    summary.metrics([*_cards(statistics), *metrics])
    if notes:
        summary.notice(*notes)
    if preview_png is not None:
        caption = (
            "Middle planes. Fibre direction shows |x| red, |y| green, |z| blue, bright where CP is high; sheet normal "
            "the same, bright where CL is high."
        )
        report.section("Maps").figure(preview_png, caption=caption, alt=f"Anisotropy maps of {name}")
    _add_guide(report.section("How to read the measures"))
    _add_distributions(report.section("Distributions"), statistics["measures"])
    _add_directions(report.section("Directions"), statistics["orientation"])
    method = report.section("Method")
    if made_by.get("parameters"):
        method.text(methods_text(made_by["parameters"], statistics.get("spacing_um")))
        method.heading("Parameters").values(made_by["parameters"], header=("parameter", "value"))
    else:
        method.text("The maps hold no record of the parameters that made them.")
    origin = {key: value for key, value in made_by.items() if key != "parameters"}
    if origin:
        method.heading("Origin").values(origin, header=("what", "value"))
    method.raw("All statistics as JSON", statistics)
    return report.html()


def _subtitle(statistics: Mapping[str, Any]) -> str:
    voxels = f"{format_value(statistics['voxels']['total'])} voxels"
    spacing = statistics.get("spacing_um")
    return voxels if spacing is None else f"{voxels} of {' × '.join(f'{s:g}' for s in spacing)} µm (z, y, x)"


def _cards(statistics: Mapping[str, Any]) -> list[Metric]:
    voxels, tissue, measures = statistics["voxels"], statistics["tissue"], statistics["measures"]
    inside = voxels["inside_mask_fraction"]
    nonfinite = voxels["nonfinite_input"]
    featureless = tissue["featureless"]["fraction"]

    def share(kind: str, note: str) -> Metric:
        volume = tissue[kind]["volume_mm3"]
        text = note if volume is None else f"{note}; {format_value(volume)} mm³"
        return Metric(f"{kind.capitalize()}-like", 100.0 * tissue[kind]["fraction"], "% of the mask", note=text)

    cards = [
        Metric(
            "Inside the mask",
            100.0 * inside,
            "%",
            "error" if inside == 0.0 else "warning" if inside < _MASK_WARNING else "ok",
            {"warning below": 100.0 * _MASK_WARNING},
        ),
        Metric(
            "Voxels not a number",
            nonfinite,
            status="warning" if nonfinite else "ok",
            thresholds={"warning above": 0},
            note="NaN or infinite in the input; outside the mask",
        ),
        share("sheet", "CL is the highest"),
        share("fibre", "CP is the highest"),
        share("blob", "CS is the highest"),
        Metric(
            "Featureless",
            100.0 * featureless,
            "% of the mask",
            "warning" if featureless > _FEATURELESS_WARNING else "ok",
            {"warning above": 100.0 * _FEATURELESS_WARNING},
            note="no gradient to measure",
        ),
        Metric("Median FA", measures["fa"]["percentiles"]["50"]),
    ]
    fibres = statistics["orientation"]["fibre_dir"]["fibres"]
    if fibres["dominant_zyx"] is not None:
        text = f"azimuth {fibres['azimuth_deg']:.1f}°, elevation {fibres['elevation_deg']:.1f}°"
        cards.append(Metric("Dominant fibre direction", _vector_text(fibres["dominant_zyx"]), "z, y, x", note=text))
        cards.append(
            Metric("Alignment of fibres", fibres["order_parameter"], note="0 every direction alike, 1 parallel")
        )
    return cards


def _vector_text(vector: Sequence[float]) -> str:
    return ", ".join(f"{v:+.2f}".replace("-0.00", "0.00").replace("+0.00", "0.00") for v in vector)


def _add_guide(section: Section) -> None:
    section.text(
        "The words linear, planar and spherical describe the ellipsoid of the structure tensor, which is built from "
        "image gradients. Gradients stand across a structure, so the words are the reverse of the tissue's shape: a "
        "sheet has one strong gradient direction (linear, CL), a fibre has two (planar, CP). High CL does not mean "
        "fibre."
    )
    section.table(("tissue", "eigenvalues", "ellipsoid", "what is high", "direction to use"), _GUIDE)


def _add_distributions(section: Section, measures: Mapping[str, Any]) -> None:
    section.charts(
        histogram_svg(
            measure["histogram"]["edges"],
            measure["histogram"]["counts"],
            title=_TITLES.get(key, key),
            marks={"median": measure["percentiles"]["50"]},
            logarithmic=key == "lambda2_ratio",
        )
        for key, measure in measures.items()
    )
    percentiles = list(next(iter(measures.values()))["percentiles"])
    section.table(
        ("measure", "mean", "sd", "min", *(f"P{p}" for p in percentiles), "max", "not finite"),
        [
            (
                _TITLES.get(key, key).split(" (")[0],
                measure["mean"],
                measure["standard_deviation"],
                measure["minimum"],
                *(measure["percentiles"][p] for p in percentiles),
                measure["maximum"],
                measure["nonfinite"],
            )
            for key, measure in measures.items()
        ],
        caption="Inside the mask. P50 is the median.",
    )


def _add_directions(section: Section, orientation: Mapping[str, Any]) -> None:
    caption = (
        "Left: directions on the hemisphere seen along z (equal-area; centre z, rim in the plane; rings at 30° and 60° "
        "from z), as multiples of evenly spread directions; the cross is the dominant direction. Right: azimuths in "
        "the XY plane, y down as in the images. Fibre axes of fibre-like voxels, normals of sheet-like voxels."
    )
    figure = orientation_figure(dict(orientation["distribution"]), dict(orientation))
    section.figure(figure, caption=caption, alt="Distribution of fibre axes and sheet normals")
    rows = []
    for label, field, group in (
        ("fibre axis, fibre-like voxels", "fibre_dir", "fibres"),
        ("fibre axis, all voxels", "fibre_dir", "all"),
        ("sheet normal, sheet-like voxels", "principal_dir", "sheets"),
        ("sheet normal, all voxels", "principal_dir", "all"),
    ):
        one = orientation[field][group]
        vector = None if one["dominant_zyx"] is None else _vector_text(one["dominant_zyx"])
        eigenvalues = one["eigenvalues"] and ", ".join(f"{v:.3f}" for v in one["eigenvalues"])
        rows.append(
            (
                label,
                one["voxels"],
                vector,
                one["azimuth_deg"],
                one["elevation_deg"],
                one["order_parameter"],
                eigenvalues,
            )
        )
    section.table(
        ("direction", "voxels", "dominant (z, y, x)", "azimuth °", "elevation °", "order", "mean tensor's eigenvalues"),
        rows,
        caption="Directions have no sign. Azimuth from x towards y, elevation out of the plane towards z.",
    )


def methods_text(parameters: Mapping[str, Any], spacing_um: Sequence[float] | None) -> str:
    """Say in one paragraph how the maps were computed, from the parameters of the run."""

    def scale(key: str) -> str:
        value = parameters.get(key)
        numbers = list(value) if isinstance(value, list | tuple) else [value]
        unit = "µm" if parameters.get("anisotropy_units") == "um" else "voxel" if numbers == [1] else "voxels"
        return f"{', '.join(format_value(n) for n in numbers)} {unit}{' (z, y, x)' if len(numbers) > 1 else ''}"

    gradient = (
        "a 3x3x3 Sobel operator of unit gain"
        if parameters.get("anisotropy_gradient") == "sobel"
        else f"Gaussian derivatives of standard deviation {scale('anisotropy_sigma')}"
    )
    shapes = {
        "trace": "CL, CP and CS are normalised by the trace (Westin et al. 1997)",
        "seed": "CL and CP are normalised by the largest eigenvalue and CS by the trace, so they do not add up to one",
    }.get(
        str(parameters.get("anisotropy_normalization")),
        "CL, CP and CS are normalised by the largest eigenvalue (Westin et al. 2002)",
    )
    spacing = "" if spacing_um is None else f" Voxels measure {' × '.join(f'{s:g}' for s in spacing_um)} µm (z, y, x)."
    threshold = parameters.get("anisotropy_mask_threshold")
    mask = (
        f" Voxels below {format_value(threshold)} of the value range count as background and carry no measures."
        if isinstance(threshold, int | float)
        else ""
    )
    return (
        f"The gradient of the image was taken with {gradient}, per unit of length; the outer product of the gradient "
        f"was averaged with a Gaussian of standard deviation {scale('anisotropy_rho')} to give the structure tensor, "
        f"whose eigenvalues λ1 ≥ λ2 ≥ λ3 and eigenvectors were found in closed form.{spacing} FA is the fractional "
        f"anisotropy (Basser and Pierpaoli 1996); {shapes}. The eigenvector of λ1 is the normal of sheets, that of λ3 "
        f"the axis of fibres.{mask}"
    )
