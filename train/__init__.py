"""How the net is made: generators, data sets, nets, and the stages from synthetic hearts to a rhythm classifier."""
