"""The part of Leadwire that runs on the Pi: windows, conditioning, the net's back ends, reports and their sinks.

Research use only; not a medical device.
"""
