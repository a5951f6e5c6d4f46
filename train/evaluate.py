def evaluate(run): pass
