"""Images that two data sets share: copies that were encoded anew, resized, mirrored or cropped."""
