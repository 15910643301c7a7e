"""Data sets: their layouts, checks, prepared cases on disk, and the crops that training sees."""
