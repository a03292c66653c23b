"""Recurrences of templates, their slots, and the wizard that plans or starts runs."""
