"two
,4,10
hello,2,2
lines",2,8
🙂,2,10
