"""Public data sets, a YAML file each: `record` reads them, `forms` their annotations."""
