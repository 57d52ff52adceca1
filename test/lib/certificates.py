# SPDX-License-Identifier: Apache-2.0
"""A CA for a test, and certificates from it."""

import ipaddress
import os
import subprocess

NEW_KEY = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes")


class Authority:
    """A CA in `folder`; `certificate` is the path of its certificate."""

    def __init__(self, folder):
        self.folder = folder
        os.makedirs(folder, exist_ok=True)
        self.certificate = self.path("ca.crt")
        self._openssl("req", "-x509", *NEW_KEY, "-days", "30", "-keyout", "ca.key", "-out", "ca.crt", "-subj", "/CN=test-ca")

    def path(self, name):
        return os.path.join(self.folder, name)

    def _openssl(self, *arguments):
        subprocess.run(["openssl", *arguments], cwd=self.folder, check=True, capture_output=True)

    def issue(self, name, expired=False):
        """Paths of a certificate for `name` (a DNS name or an address) and its key."""
        try:
            alternative = f"IP:{ipaddress.ip_address(name)}"
        except ValueError:
            alternative = f"DNS:{name}"
        with open(self.path("server.ext"), "w", encoding="utf-8") as file:
            file.write(f"subjectAltName={alternative}\n")
        self._openssl("req", *NEW_KEY, "-keyout", "server.key", "-out", "server.csr", "-subj", f"/CN={name}")
        signing = ["-CA", "ca.crt", "-CAkey", "ca.key", "-CAcreateserial", "-extfile", "server.ext"]
        self._openssl("x509", "-req", "-in", "server.csr", "-out", "server.crt", *signing, "-days", "-1" if expired else "30")
        return self.path("server.crt"), self.path("server.key")
