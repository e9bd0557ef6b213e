# In the guest: the workload, the agent that traces it, and what both said; then all the probes.
# $server, $host, $pairs and $tools are set above.
mkfifo go
# In /root, which is on a disk: fsync has nothing to wait for in /tmp.
./waiter /root 4000 <go >truth &
waiter=$!
exec 3>go
python3 -m kscope agent offcputime --pid $waiter --server "$server" --hostname "$host" \
  --spool /tmp/spool --interval 2 2>agent.log &
agent=$!
until grep -q 'probe running' agent.log; do
  kill -0 $agent || break
  sleep 0.2
done
# The kernel itself says which functions are probed.
sed 's/^/@@ kprobe /' /sys/kernel/debug/kprobes/list
echo go >&3
until [ "$(wc -l <truth)" -ge 2 ]; do
  kill -0 $waiter || break
  sleep 0.2
done
sleep 6 # A starved machine may leave the agent no time for its last interval.
kill -TERM $agent
wait $agent
code=$?
sed 's/^/@@ agent /' agent.log
sed -n '2s/^/@@ truth /p' truth
exec 3>&-
wait $waiter
mount -t cgroup2 none /sys/fs/cgroup
echo +memory >/sys/fs/cgroup/cgroup.subtree_control
cd /root
PYTHONPATH=/kscope/actions:$PYTHONPATH python3 /kscope/probes.py $pairs || exit 1
if [ "$tools" ]; then
  python3 /kscope/bcc_headers.py /kscope/tools/headers
  PYTHONPATH=/kscope/actions:/usr/lib/python3/dist-packages python3 /kscope/tools.py \
    /kscope/tools "tools-${host#*-}" $tools || exit 1
fi
exit $code
