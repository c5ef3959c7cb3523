"""Where is this tissue most anisotropic, and which shape do its three eigenvalues say? The tutorial's code.

The page docs/tutorial.md shows it part by part. It needs no data and no network:

    python docs/tutorials/where_is_it_anisotropic.py [folder for the figures]
"""

import sys
from pathlib import Path

import figures
import numpy as np

# [load]
from linumpy_lib.simulation import TissueClass, simulate_fibres

spacing_um = (1.5, 1.0, 1.0)
phantom = simulate_fibres((80, 160, 160), spacing_um=spacing_um, fibre_radius_um=1.8, seed=0)
image = phantom.volume
print("shape (z, y, x):", image.shape)
print("type and range: ", image.dtype, image.min(), "to", image.max())
# [/load]

# [sample]
sample = (slice(36, 44), slice(77, 95), slice(53, 71))  # z, y, x
rough = np.array([np.abs(np.diff(image[sample].astype(float), axis=axis)).mean() for axis in range(3)])
print("mean change per micrometre along z, y, x:", (rough / spacing_um).round(1))
# [/sample]

# [compute]
from linumpy_lib.anisotropy import compute_anisotropy  # noqa: E402

maps = compute_anisotropy(image, sigma=1.0, rho=3.0, units="um", spacing_um=spacing_um, device="cpu")
print("eigenvalues:", maps.eigenvalues.shape, maps.eigenvalues.dtype)
# [/compute]

# [largest]
first = maps.eigenvalues[0][sample]
inside = np.unravel_index(first.argmax(), first.shape)
peak = tuple(int(i) + part.start for i, part in zip(inside, sample, strict=True))
print("largest eigenvalue at (z, y, x):", peak)
# [/largest]

# [around]
z, y, x = peak
for number, values in enumerate(maps.eigenvalues[:, z, y - 1 : y + 2, x - 1 : x + 2], start=1):
    print(f"eigenvalue {number}")
    print(values.round(1))
# [/around]

# [shape]
one, two, three = maps.eigenvalues[:, z, y, x]
print(f"first : second = {one / two:.1f}    second : third = {two / three:.0f}")
print(f"CL {maps.cl[peak]:.2f}  CP {maps.cp[peak]:.2f}  CS {maps.cs[peak]:.2f}  FA {maps.fa[peak]:.2f}")
median = {name: float(np.median(getattr(maps, name)[sample])) for name in ("cl", "cp", "cs")}
print("median of the sample:", {name: round(value, 2) for name, value in median.items()})
# [/shape]

# [direction]
axis = maps.fibre_dir[peak]
tilt_deg = np.degrees(np.arccos(abs(axis[0])))
print("direction of least change (z, y, x):", axis.round(2), f"  {tilt_deg:.0f} degrees from the z axis")
# [/direction]

# [robust]
for sigma, rho in [(1.0, 1.5), (1.0, 3.0), (1.2, 4.0), (1.0, (2.0, 3.0, 3.0))]:
    other = compute_anisotropy(image, sigma, rho, units="um", spacing_um=spacing_um, device="cpu")
    values = other.eigenvalues[0][sample]
    found = np.unravel_index(values.argmax(), values.shape)
    place = tuple(int(i) + part.start for i, part in zip(found, sample, strict=True))
    medians = [float(np.median(getattr(other, name)[sample])) for name in ("cl", "cp", "cs")]
    angle = np.degrees(np.arccos(min(1.0, abs(float(other.fibre_dir[place] @ axis)))))
    print(f"sigma {sigma}  rho {rho!s:16}  at {place}  median CL CP CS {np.round(medians, 2)}  turned {angle:.0f} deg")
# [/robust]

# [tissue]
names = ("fa", "cl", "cp", "cs")
print("tissue     " + "".join(f"{name:>7}" for name in names) + "   largest")
for tissue in (TissueClass.SHEET, TissueClass.FIBRE, TissueClass.GRANULAR):
    medians = {name: float(np.median(getattr(maps, name)[phantom.labels == tissue])) for name in names}
    largest = max(("cl", "cp", "cs"), key=medians.get)
    print(f"{tissue.name.lower():11}" + "".join(f"{medians[name]:7.2f}" for name in names) + f"   {largest}")
# [/tissue]

# [truth]
for tissue, vectors in ((TissueClass.FIBRE, maps.fibre_dir), (TissueClass.SHEET, maps.principal_dir)):
    voxels = phantom.labels == tissue
    cosine = np.abs((vectors[voxels] * phantom.direction[voxels]).sum(axis=-1))
    angle = np.degrees(np.median(np.arccos(np.minimum(cosine, 1.0))))
    print(f"{tissue.name.lower()}: median angle to the true direction {angle:.1f} degrees")
# [/truth]

if __name__ == "__main__":
    folder = Path(sys.argv[1] if len(sys.argv) > 1 else "tutorial_figures")
    folder.mkdir(parents=True, exist_ok=True)
    figures.planes(image, spacing_um, sample, folder / "tutorial_planes.png")
    figures.profiles(image, spacing_um, sample, folder / "tutorial_profiles.png")
    figures.eigenvalues(image, maps, sample, peak, folder / "tutorial_eigenvalues.png")
    figures.shapes(image, maps, phantom, folder / "tutorial_shapes.png")
    figures.sections(image, spacing_um, maps, peak, folder / "tutorial_sections.png")
    figures.maps(image, spacing_um, maps, z, folder / "tutorial_maps.png")
    print("figures in", folder)
