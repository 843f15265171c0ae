"""Why one number is not another: the fields of a protocol, and the record of an explanation."""
