"""Bytes to plain trees and back, one module per format. Nothing here knows what a relay log is."""
