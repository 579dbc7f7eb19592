"""What computes: detectors and feature networks in pure PyTorch; `models.detectors` has the table of detectors."""
