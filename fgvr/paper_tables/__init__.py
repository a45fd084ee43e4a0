"""Tables as papers print them: the rows of runs, sweeps and judged labelers, beside the figures of the papers."""
