"""Still images as files have them: formats, faults that are no damage, bit depths, colour profiles, EXIF."""
