"""Starts the agent and says how long its first answer took, then kills it: restart-time.py PROGRAM CONFIG."""
import subprocess, sys, time, urllib.request

start = time.monotonic()
agent = subprocess.Popen([sys.argv[1], "serve", "--config", sys.argv[2]], stdout=subprocess.PIPE, text=True)
url = agent.stdout.readline().split()[1]
urllib.request.urlopen(url + "/readyz").read()
print(f"first answer after {time.monotonic() - start:.3f} s")
agent.kill()
agent.wait()
