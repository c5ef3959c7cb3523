"""Steps of multi-view fusion."""
