"""The Redshift lint: which files, what is wrong with them, and in which form it is said. Needs no warehouse.

paths ──files──▶ SqlFile ──checks──▶ FileFinding ──reports──▶ text · JSON · SARIF · GitHub annotations
"""
