"""Files on disk: atomic writes, locks, downloads, and texts in the encodings and compressions that are found outside.

Whatever is read from outside is turned into our types here, or named for what it is.
Only the standard library and the rest of `support/` may be imported."""
