"""Tune an adapter on one person's footage, with a judge of likeness watching."""
