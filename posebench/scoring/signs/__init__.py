"""Signs in results files of what made them differ: shifts, grids, ids, boxes. numpy alone."""
