"""Declared: the head of a site.toml, up to what its archive is."""

SITE = """
[site]
id = "a_site"
name = "A site"
kind = "pretend"

[archive]
"""
