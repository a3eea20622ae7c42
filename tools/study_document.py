def update(check): return []
