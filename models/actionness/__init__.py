"""TadTR's actionness, for any detector of segments: how well each of them fits an action, a factor of its scores."""
