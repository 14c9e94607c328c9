"""From a recording to episodes: sources, one clock, faults, accounting, workers."""
