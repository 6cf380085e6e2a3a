"""Container images: a folder of wheels, a build without network, an archive, a mended one."""
