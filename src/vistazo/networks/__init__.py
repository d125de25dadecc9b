"""Building parts that every task may use: layers, blocks, backbones."""
