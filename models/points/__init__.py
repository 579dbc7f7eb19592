"""Point detectors: what ActionFormer, TemporalMaxer and TriDet share."""
