"""The crash matrix's parts: cells and what is right for each, faults, ears on the graph, the judging."""
