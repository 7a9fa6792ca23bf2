"""A stand-in for an object store that speaks S3 and misbehaves on demand.

What it stores and how it answers is moto's; `wrapper.py` refuses keys that are not ours and plays a store that has
trouble. Signatures are not checked, only the name of the access key: a wrong secret goes unnoticed. All of it lives in
memory and in /tmp, and is gone when the process ends.
"""
