"""Parameters of the fusion workflow, each declared once; steps take their part, `ProcessingConfig` holds them all."""
