"""Why one number is not another: two sides, what differs, what each field is worth. No torch."""
