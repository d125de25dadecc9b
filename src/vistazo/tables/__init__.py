"""Tables in: CSV, Excel and Parquet; types, dates, scalers, encoders."""
