"""The stacks of the fleet's processes, as agents write them: frames from the thread's start on."""

from __future__ import annotations

_CALL = "entry_SYSCALL_64_after_hwframe_[k];do_syscall_64_[k];"
_WAIT = ";schedule_[k];__schedule_[k]"
_FUTEX = f"{_CALL}__x64_sys_futex_[k];do_futex_[k];futex_wait_[k];futex_do_wait_[k]{_WAIT}"
_SELECT = f"{_CALL}do_select_[k];schedule_hrtimeout_range_[k]{_WAIT}"
_EPOLL = f"{_CALL}__x64_sys_epoll_wait_[k];do_epoll_wait_[k];ep_poll_[k]{_WAIT}"
_POLL = f"{_CALL}__x64_sys_poll_[k];do_sys_poll_[k];schedule_hrtimeout_range_[k]{_WAIT}"
_RECV = (
    f"{_CALL}__x64_sys_recvfrom_[k];sock_recvmsg_[k];inet_recvmsg_[k];tcp_recvmsg_[k]"
    f";sk_wait_data_[k];wait_woken_[k];schedule_timeout_[k]{_WAIT}"
)
_FSYNC = f"{_CALL}__x64_sys_fsync_[k];do_fsync_[k];vfs_fsync_range_[k];ext4_sync_file_[k]"
_IO = f";io_schedule_[k]{_WAIT}"
_READ = (
    f"{_CALL}__x64_sys_pread64_[k];vfs_read_[k];ext4_file_read_iter_[k];filemap_read_[k]"
    f";folio_wait_bit_common_[k]{_IO}"
)
_WRITE = (
    f"{_CALL}ksys_write_[k];vfs_write_[k];ext4_file_write_iter_[k];ext4_buffered_write_iter_[k]"
)
_THROTTLE = f";balance_dirty_pages_ratelimited_[k];balance_dirty_pages_[k]{_IO}"
_KTHREAD = "ret_from_fork_asm_[k];ret_from_fork_[k];kthread_[k];"

_THREAD = "clone3 [libc.so.6];start_thread [libc.so.6];pfs_spawn_thread;"
_QUERY = f"{_THREAD}handle_connection;do_command;dispatch_command;dispatch_sql_command"
_COMMIT = (
    f"{_QUERY};mysql_execute_command;trans_commit_stmt;ha_commit_trans;MYSQL_BIN_LOG::commit"
    ";MYSQL_BIN_LOG::ordered_commit"
)
_COND = ";pthread_cond_wait [libc.so.6];"
_MAIN = "_start;__libc_start_main [libc.so.6];main;"
_PYTHON = f"{_MAIN}Py_BytesMain;pymain_run_python;"
_WORKER = (
    f"{_PYTHON}Arbiter.spawn_worker arbiter.py:608;ThreadWorker.handle gthread.py:265"
    ";Flask.wsgi_app app.py:1478;Flask.dispatch_request app.py:1441"
)
_CHECKOUT = f"{_WORKER};checkout orders.py:88"
_SEND = (
    ";Session.commit session.py:2017;MySQLConnection.commit connection.py:811"
    ";read_packet connection.py:692;recv [libc.so.6];"
)

FSYNC = f"{_COMMIT};MYSQL_BIN_LOG::sync_binlog_file;fsync [libc.so.6];{_FSYNC}"

# Waits.
WAITS = {
    "commit": f"{FSYNC};ext4_fsync_journal_[k];jbd2_complete_transaction_[k]"
    f";jbd2_log_wait_commit_[k]{_WAIT}",
    "binlog data": f"{FSYNC};file_write_and_wait_range_[k];folio_wait_writeback_[k]{_IO}",
    "enroll": f"{_COMMIT};Commit_stage_manager::enroll_for{_COND}{_FUTEX}",
    "row lock": f"{_QUERY};mysql_execute_command;Sql_cmd_dml::execute;row_search_mvcc"
    f";lock_wait_suspend_thread{_COND}{_FUTEX}",
    "page read": f"{_QUERY};mysql_execute_command;Sql_cmd_dml::execute;row_search_mvcc"
    f";buf_page_get_gen;os_file_io;pread64 [libc.so.6];{_READ}",
    "connection idle": f"{_THREAD}handle_connection;do_command;Protocol_classic::get_command"
    f";my_net_read;vio_socket_io_wait;poll [libc.so.6];{_POLL}",
    "io handler idle": f"{_THREAD}io_handler_thread;fil_aio_wait;os_aio_handler"
    f";LinuxAIOHandler::collect;io_getevents [libaio.so.1];{_CALL}read_events_[k]{_WAIT}",
    "purge idle": f"{_THREAD}srv_worker_thread;srv_suspend_thread{_COND}{_FUTEX}",
    "page cleaner idle": f"{_THREAD}buf_flush_page_cleaner_thread;os_event::wait_time_low"
    f"{_COND}{_FUTEX}",
    "journal idle": f"{_KTHREAD}kjournald2_[k]{_WAIT}",
    "journal write": f"{_KTHREAD}kjournald2_[k];jbd2_journal_commit_transaction_[k]"
    f";wait_on_buffer_[k]{_IO}",
    "worker idle": f"{_KTHREAD}worker_thread_[k]{_WAIT}",
    "log write": f"{_MAIN}mainloop;wtiWorker;doSubmitToActionQ;strmFlush;write [libc.so.6];{_WRITE}"
    f";folio_wait_writeback_[k]{_IO}",
    "log throttled": f"{_MAIN}mainloop;wtiWorker;doSubmitToActionQ;strmFlush;write [libc.so.6];"
    f"{_WRITE};generic_perform_write_[k]{_THROTTLE}",
    "log idle": f"{_MAIN}mainloop;select [libc.so.6];{_SELECT}",
    "order": f"{_CHECKOUT};Order.save models.py:141{_SEND}{_RECV}",
    "price query": f"{_CHECKOUT};Price.for_items models.py:77{_SEND}{_RECV}",
    "charge": f"{_CHECKOUT};pay payments.py:33;HTTPConnectionPool.urlopen connectionpool.py:592"
    f";recv_into [libssl.so.3];{_RECV}",
    "stock lock": f"{_CHECKOUT};Stock.reserve stock.py:52;Lock.acquire locks.py:18"
    f";PyThread_acquire_lock_timed;sem_clockwait [libc.so.6];{_FUTEX}",
    "gunicorn idle": f"{_PYTHON}Arbiter.run arbiter.py:201;ThreadWorker.run gthread.py:197"
    f";EpollSelector.select selectors.py:452;epoll_wait [libc.so.6];{_EPOLL}",
    "thread pool idle": f"{_PYTHON}_worker thread.py:69;Queue.get queue.py:171"
    f";PyThread_acquire_lock_timed;sem_clockwait [libc.so.6];{_FUTEX}",
    "node idle": f"{_MAIN}node::Start;node::SpinEventLoop;uv_run;uv__io_poll;epoll_wait [libc.so.6]"
    f";{_EPOLL}",
    "node pool idle": f"clone3 [libc.so.6];start_thread [libc.so.6];worker;uv_cond_wait{_COND}"
    f"{_FUTEX}",
    "node read": f"clone3 [libc.so.6];start_thread [libc.so.6];worker;uv__fs_work;uv__fs_read"
    f";pread64 [libc.so.6];{_READ}",
    "nginx idle": f"{_MAIN}ngx_master_process_cycle;ngx_worker_process_cycle"
    f";ngx_process_events_and_timers;ngx_epoll_process_events;epoll_wait [libc.so.6];{_EPOLL}",
    "redis idle": f"{_MAIN}aeMain;aeProcessEvents;aeApiPoll;epoll_wait [libc.so.6];{_EPOLL}",
    "redis append": f"clone3 [libc.so.6];start_thread [libc.so.6];bioProcessBackgroundJobs"
    f";redis_fsync;fdatasync [libc.so.6];{_FSYNC};file_write_and_wait_range_[k]"
    f";folio_wait_writeback_[k]{_IO}",
}

# Stacks that run.
RUNS = {
    "page lookup": f"{_QUERY};mysql_execute_command;Sql_cmd_dml::execute;row_search_mvcc"
    ";buf_page_get_gen",
    "parse": f"{_QUERY};MYSQLparse;yylex",
    "checksum": f"{_COMMIT};my_checksum",
    "template": f"{_WORKER};render templating.py:147;Template.render environment.py:1296",
    "price": f"{_CHECKOUT};Price.for_items models.py:77;render_price prices.py:41"
    ";Decimal.quantize _pydecimal.py:2500",
    "json": f"{_WORKER};jsonify provider.py:40;dumps __init__.py:183",
    "index": f"{_MAIN}node::Start;node::SpinEventLoop;uv_run;Index.lookup search.js:88",
    "proxy": f"{_MAIN}ngx_master_process_cycle;ngx_worker_process_cycle;ngx_http_proxy_handler",
    "lookup": f"{_MAIN}aeMain;readQueryFromClient;processCommand;lookupKey",
}
