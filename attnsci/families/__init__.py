"""Published models of attention, a folder each: network, recipes, experiments, paper, commands."""
