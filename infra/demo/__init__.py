"""The main job, `plumbline demo`: a clinic's assistant, its patients and its people, around the real product.

Drives the running product over HTTP and the command line only; imports no stage.
"""
