"""A piece of Python with a class and a function, whose places both the test of cutting and that of naming know."""

PYTHON = '''\
import os

TIMEOUT = 3


# Talks to the server.
@final
class Client:
    """Docs."""

    def __init__(self, url):
        self.url = url
        self.session = make_session(url, retries=3)

    # Says hello.
    @cached
    def send(self, message):
        """Send a message."""
        return self.session.post(self.url, message)


async def main():
    await Client(os.environ["URL"]).send("hello, how are you today?")
'''
