"""A cell measured anew with one field of its protocol switched: what each field is worth."""
