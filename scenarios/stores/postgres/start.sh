# Starts PostgreSQL in the foreground: `start.sh primary OPTION…` or `start.sh standby OPTION…`. Makes its data the first time.
set -eu
role=$1
shift
bin=/usr/lib/postgresql/15/bin
data=/var/lib/drill-pg
if ! [ -e $data/ready ]; then
    rm -rf $data
    if [ "$role" = primary ]; then
        $bin/initdb -D $data -U drill -A trust --no-sync --no-instructions
        printf 'host all all all trust\nhost replication all all trust\n' >>$data/pg_hba.conf
        echo 'create table writes (at timestamptz default now())' | $bin/postgres --single -D $data postgres
    else
        # The primary may need longer to start.
        until $bin/pg_basebackup -h p1 -U drill -D $data -R -X stream -c fast; do
            rm -rf $data
            sleep 0.2
        done
    fi
    chmod 700 $data
    : >$data/ready
fi
exec $bin/postgres -D $data -c listen_addresses='*' -c unix_socket_directories=/tmp -c shared_buffers=16MB -c max_connections=200 \
    -c wal_sender_timeout=3s "$@"
