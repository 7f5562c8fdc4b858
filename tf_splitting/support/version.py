"""The version, for whoever may not import the package's root."""

VERSION = "0.1.0"
