"""How perfkit measures: clocks, interleaved rounds, histograms, statistics, and doubts."""
