"""The dashboard with simulated wearables before it: its pictures, and what it does with what it should refuse."""
